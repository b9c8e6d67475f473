"""Measures beside the peers, on the same machine and in the same run. `python -m bench --help` says which there are.

The peers' harness (Postfix, Exim, public-inbox..., with their configurations, sinks and CPU accounting) is found at
POSTHOUSE_PEERS, by default `../shared/bench` beside the checkout; without it only our own figures are taken.
Results are appended to bench/out/results.jsonl; docs/benchmarks.md quotes them.
"""
