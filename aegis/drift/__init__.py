"""Whether what is seen now still comes from what was seen before: distributions, means, results, single sessions."""
