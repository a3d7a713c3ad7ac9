// libcublasLt: cudarc links it and uses nothing of it.
