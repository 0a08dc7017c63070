"""The arithmetic of tasks: kernels on native frames and samples, and the logic of intervals. numpy, OpenCV and scipy only."""
