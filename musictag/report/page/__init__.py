"""A collection as one page for a browser, which needs no network and no other file.

`packing` turns rows into data, `axes` picks the first axes of the map, `building` puts data, style
and scripts together. `page.html`, `page.css` and the scripts are what the browser gets, as they
stand here; they make all that is shown from the data.
"""
