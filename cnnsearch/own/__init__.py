"""Data sets of one's own: a folder of pictures, or an .npz file of arrays."""
