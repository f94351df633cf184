"""Colours of the charts: Okabe, Ito, "Color universal design" (2008), never without a shape.

Each is at least 3:1 against white. `front_page.js` knows them by value and makes each lighter
where the page is dark.
"""

FRONT = "#0072B2"  # blue: filled diamonds and the line through them
REGION = "rgba(0, 114, 178, 0.10)"
DOMINATED = "#767676"  # grey: hollow circles
INFEASIBLE = "#D55E00"  # vermilion: crosses
REFERENCE = "#767676"  # dashed lines
BOUND = "#D55E00"  # dotted lines
PREDICTED = "#008060"  # bluish green, darkened: hollow squares, triangles where never tried
OUTLINE = "#1A1A1A"
