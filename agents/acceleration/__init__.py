"""What makes agents fast, behind one seam that can be turned off."""
