"""From checkpoints to portable model files: export, quantization, verification; nothing is trained here."""

import aeinfer  # noqa: F401 - sets onnxruntime's telemetry switch before any room here imports it
