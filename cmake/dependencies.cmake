# Third-party libraries, each behind one hearth::<name> target, static archives where the distribution has them.
# docs/dependencies.md says why each is here.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

# hearth_system_library(pcre2 pcre2-8 pcre2.h): a header and an archive found on the system.
function(hearth_system_library name archive header)
  find_path(${name}_INCLUDE ${header} REQUIRED)
  find_library(${name}_LIBRARY NAMES lib${archive}.a ${archive} REQUIRED)
  add_library(hearth_${name} INTERFACE)
  target_include_directories(hearth_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
  target_link_libraries(hearth_${name} INTERFACE ${${name}_LIBRARY} ${ARGN})
  add_library(hearth::${name} ALIAS hearth_${name})
endfunction()

# The same as a target of its own kind, so that CMake knows which archive must follow which on the link line.
function(hearth_system_archive name archive header)
  find_path(${name}_INCLUDE ${header} REQUIRED)
  find_library(${name}_LIBRARY NAMES lib${archive}.a ${archive} REQUIRED)
  add_library(hearth_${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(hearth_${name} PROPERTIES IMPORTED_LOCATION ${${name}_LIBRARY})
  target_include_directories(hearth_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
  target_link_libraries(hearth_${name} INTERFACE ${ARGN})
  add_library(hearth::${name} ALIAS hearth_${name})
endfunction()

hearth_system_library(fmt fmt fmt/core.h)
if(HEARTH_STATIC AND NOT fmt_LIBRARY MATCHES "\\.a$")
  # Debian has no archive of fmt: its headers hold all of it.
  set_target_properties(hearth_fmt PROPERTIES INTERFACE_LINK_LIBRARIES "")
  target_compile_definitions(hearth_fmt INTERFACE FMT_HEADER_ONLY)
endif()

# spdlog as headers over our fmt: it is compiled into one file.
find_path(SPDLOG_INCLUDE spdlog/spdlog.h REQUIRED)
add_library(hearth_spdlog INTERFACE)
target_include_directories(hearth_spdlog SYSTEM INTERFACE ${SPDLOG_INCLUDE})
target_compile_definitions(hearth_spdlog INTERFACE SPDLOG_FMT_EXTERNAL)
target_link_libraries(hearth_spdlog INTERFACE hearth::fmt)
add_library(hearth::spdlog ALIAS hearth_spdlog)

hearth_system_library(pcre2 pcre2-8 pcre2.h)
target_compile_definitions(hearth_pcre2 INTERFACE PCRE2_CODE_UNIT_WIDTH=8 PCRE2_STATIC)
hearth_system_library(utf8proc utf8proc utf8proc.h)
target_compile_definitions(hearth_utf8proc INTERFACE UTF8PROC_STATIC)
hearth_system_archive(zlib z zlib.h)

# Pictures. An archive of WebP made since 1.3 keeps its colour conversion in a second one.
hearth_system_archive(png png16 png.h hearth::zlib m)
hearth_system_library(jpeg jpeg jpeglib.h)
hearth_system_library(webp webp webp/encode.h m)
find_library(sharpyuv_LIBRARY NAMES libsharpyuv.a)
if(sharpyuv_LIBRARY)
  target_link_libraries(hearth_webp INTERFACE ${sharpyuv_LIBRARY} m)
endif()

hearth_system_library(uring uring liburing.h)
hearth_system_library(sqlite sqlite3 sqlite3.h Threads::Threads ${CMAKE_DL_LIBS} m)
hearth_system_library(yaml yaml-cpp yaml-cpp/yaml.h)
target_compile_definitions(hearth_yaml INTERFACE YAML_CPP_STATIC_DEFINE)

# libcurl has a static archive, but its own dependencies do not all have one: it is linked as the system has it.
find_package(CURL REQUIRED)
add_library(hearth_curl INTERFACE)
target_link_libraries(hearth_curl INTERFACE CURL::libcurl)
add_library(hearth::curl ALIAS hearth_curl)

find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(tomlplusplus QUIET)
find_path(TOML_INCLUDE toml++/toml.h REQUIRED)
add_library(hearth_toml INTERFACE)
target_include_directories(hearth_toml SYSTEM INTERFACE ${TOML_INCLUDE})
add_library(hearth::toml ALIAS hearth_toml)

find_path(BOOST_INCLUDE boost/beast.hpp REQUIRED)
add_library(hearth_beast INTERFACE)
target_include_directories(hearth_beast SYSTEM INTERFACE ${BOOST_INCLUDE})
target_compile_definitions(hearth_beast INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED BOOST_ALL_NO_LIB)
target_link_libraries(hearth_beast INTERFACE Threads::Threads)
add_library(hearth::beast ALIAS hearth_beast)

if(HEARTH_TESTS)
  find_package(GTest REQUIRED)
endif()
