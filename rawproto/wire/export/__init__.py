"""What is made of a header's declaration besides its codec: filters, drawings, dissectors, layers and strategies."""
