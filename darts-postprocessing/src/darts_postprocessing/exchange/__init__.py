"""Inventories as others take them: the community's ARTS schema, and files for QGIS, the web and spreadsheets."""
