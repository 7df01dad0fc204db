FAULTS_FOLDER := $(USERMOD_DIR)
SRC_USERMOD += $(FAULTS_FOLDER)/faults.c
LDFLAGS_USERMOD += -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc -Wl,--wrap=gc_free -Wl,--wrap=gc_collect -Wl,--wrap=mp_execute_bytecode -Wl,--wrap=accept -Wl,--wrap=socket
