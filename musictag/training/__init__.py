"""Making and judging models: data set → features → training → evaluation.

Nothing here is needed to tag music, and nothing here touches anybody's files.
"""
