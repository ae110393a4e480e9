"""What ``send`` and ``dump`` share: headers by name, values from text, captures, and how packets are shown."""
