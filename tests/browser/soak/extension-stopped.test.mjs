// The extension with its worker stopped at more moments: SOAK=full, as `make soak` says.
import "../extension-stopped.test.mjs";
