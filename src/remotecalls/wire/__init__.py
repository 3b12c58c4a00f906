"""What crosses the wire: framing, deadlines, transport errors, the tap and the dissectors."""
