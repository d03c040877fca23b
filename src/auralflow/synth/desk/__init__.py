"""What happens to stems on their way into a mix: dynamics, equalizers, rooms, width, levels."""

__all__: list[str] = []
