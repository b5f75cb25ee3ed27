# Cross-compiling for 64-bit ARM on a Debian multiarch system: the compiler of crossbuild-essential-arm64, foreign
# libraries under /usr/lib/aarch64-linux-gnu, shared headers under /usr/include. Test programs run under QEMU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Programs of the build machine, never of the target; pkg-config sees the target's files only.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)

# The CPU that ctest and gtest discovery run on; another one with -DHEARTH_QEMU_CPU=neoverse-n1.
set(HEARTH_QEMU_CPU max CACHE STRING "CPU model of qemu-aarch64")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-cpu;${HEARTH_QEMU_CPU};-L;/)
