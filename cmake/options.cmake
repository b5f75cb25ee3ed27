# Compiler settings shared by every target.
add_library(hearth_options INTERFACE)
target_include_directories(hearth_options INTERFACE ${CMAKE_SOURCE_DIR}/src)

set(cxx_only "$<$<COMPILE_LANGUAGE:CXX>:")
target_compile_options(hearth_options INTERFACE
  ${cxx_only}-Wall> ${cxx_only}-Wextra> ${cxx_only}-Wno-unused-parameter> ${cxx_only}-Wno-missing-field-initializers>
  ${cxx_only}-Wnon-virtual-dtor> ${cxx_only}-Wimplicit-fallthrough>
  # A float sum has one order: batch invariance and the CPU-CUDA comparison rest on it. Kernels that fuse say fma().
  ${cxx_only}-ffp-contract=off>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside the standard library, fmt and its own AVX-512 intrinsics at -O2.
  target_compile_options(hearth_options INTERFACE ${cxx_only}-Wno-stringop-overflow> ${cxx_only}-Wno-array-bounds>
    ${cxx_only}-Wno-maybe-uninitialized> ${cxx_only}-Wno-uninitialized> ${cxx_only}-Wno-restrict>
    ${cxx_only}-Wno-psabi>)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    target_compile_options(hearth_options INTERFACE ${cxx_only}-Wno-dangling-reference>)
  endif()
endif()
if(HEARTH_WERROR)
  target_compile_options(hearth_options INTERFACE ${cxx_only}-Werror>)
endif()
if(HEARTH_SANITIZE)
  target_compile_options(hearth_options INTERFACE ${cxx_only}-fsanitize=${HEARTH_SANITIZE}>
    ${cxx_only}-fno-omit-frame-pointer> ${cxx_only}-fno-sanitize-recover=all>)
  target_link_options(hearth_options INTERFACE -fsanitize=${HEARTH_SANITIZE})
endif()
if(HEARTH_STATIC)
  target_link_options(hearth_options INTERFACE -static-libstdc++ -static-libgcc)
endif()

if(HEARTH_CUDA)
  # sm_90a runs on H100 and H200; the family cubin sm_120f is what a GB10 and an RTX 50 load. CMake 3.25 knows neither
  # family targets nor nvcc's C++20, so both are written here.
  set(HEARTH_CUDA_TARGETS "90a;120f" CACHE STRING "GPU targets as nvcc names them, without compute_ and sm_")
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  foreach(target IN LISTS HEARTH_CUDA_TARGETS)
    string(APPEND CMAKE_CUDA_FLAGS " -gencode=arch=compute_${target},code=sm_${target}")
  endforeach()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  find_package(CUDAToolkit 13.0 REQUIRED)
  target_compile_definitions(hearth_options INTERFACE HEARTH_CUDA=1)
  # The same one order on the GPU. A spill is a warning of ptxas and here an error: kernels are cut until they fit.
  target_compile_options(hearth_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size;--fmad=false;-Xptxas=-warn-spills;-Xptxas=-Werror>"
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Xcompiler=-ffp-contract=off>")
endif()
