"""What a training run will take, before it is begun: memory of each device, time of a step, hours in all."""
