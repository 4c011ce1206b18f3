"""How good scenes are after how many steps."""
