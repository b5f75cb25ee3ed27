# The model that comes with the program: unpacked beside it, where an installed program finds it too:
#   <build>/bin/hearth, <build>/share/hearth/models/checkpoints/sprite.safetensors
# assets/sprite/packed.py checks its hash and adds what about.json says to its metadata. It needs nothing of the target:
# Python and zstd of the machine that builds.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(ZSTD zstd)
if(NOT ZSTD)
  message(FATAL_ERROR "the program zstd is missing: install the package zstd; tools/packages.sh lists what builds need")
endif()

set(sprite share/hearth/models/checkpoints/sprite.safetensors)
set(packer ${CMAKE_SOURCE_DIR}/assets/sprite/packed.py)
set(packed ${CMAKE_SOURCE_DIR}/assets/sprite/sprite.packed)
set(about ${CMAKE_SOURCE_DIR}/assets/sprite/about.json)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/${sprite} VERBATIM
  COMMAND Python3::Interpreter ${packer} unpack --about ${about} ${packed} ${CMAKE_BINARY_DIR}/${sprite}
  DEPENDS ${packer} ${packed} ${about} COMMENT "Unpacking the built-in picture model")
add_custom_target(sprite DEPENDS ${CMAKE_BINARY_DIR}/${sprite})
install(FILES ${CMAKE_BINARY_DIR}/${sprite} DESTINATION share/hearth/models/checkpoints)
