"""Data set formats: YOLO, COCO and Pascal VOC, load and save."""
