"""What pages and projects share to show ground: projects of QGIS, land, outlines, and parts of pages."""
