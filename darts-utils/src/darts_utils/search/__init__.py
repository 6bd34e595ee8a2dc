"""What scenes are searched for: days and months, tiles, covers."""
