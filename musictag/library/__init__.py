"""A collection of music as it is remembered: similar tracks, playlists, tables. Nothing is decoded.

`collection` looks tracks up, `opinion` says what a model makes of them, `similar` compares them,
`choosing` picks some by what was heard, `playlists` writes their names down, and `export`
everything that is known. `overview` tells all of each track at once, and `doubts` where the genre
in a file does not fit what is heard.
"""
