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
  # GCC 12 reports these inside the standard library and fmt at -O2.
  target_compile_options(hearth_options INTERFACE ${cxx_only}-Wno-stringop-overflow> ${cxx_only}-Wno-array-bounds>
    ${cxx_only}-Wno-maybe-uninitialized> ${cxx_only}-Wno-restrict>
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
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    # sm_90a runs on H100 and H200; the family cubin sm_120f is what a GB10 and an RTX 50 load.
    set(CMAKE_CUDA_ARCHITECTURES "90a-real;120f-real")
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  find_package(CUDAToolkit 13.0 REQUIRED)
  target_compile_definitions(hearth_options INTERFACE HEARTH_CUDA=1)
  target_compile_options(hearth_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size;-Xptxas=-warn-spills;--expt-relaxed-constexpr;-Xcompiler=-ffp-contract=off>")
endif()
