"""Pictures of fronts: plotly for pages, matplotlib for files."""
