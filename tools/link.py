"""Make the checkout importable in its own environment and put the `posthouse` command there; needs nothing installed."""

import sys
import sysconfig
from pathlib import Path

root = Path(__file__).resolve().parent.parent
Path(sysconfig.get_path("purelib"), "posthouse.pth").write_text(f"{root}\n", encoding="utf-8")
command = Path(sysconfig.get_path("scripts"), "posthouse")
command.write_text(
    f"#!{sys.executable}\nimport sys\n\nfrom posthouse.__main__ import main\n\nsys.exit(main())\n", encoding="utf-8"
)
command.chmod(0o755)
