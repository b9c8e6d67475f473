"""What a list changes in a posting: `steps`, in order, each an edit of the bytes it must change and no others."""
