# Everything that Tidewall takes from Debian 12 is found here and nowhere else.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(GNUTLS REQUIRED IMPORTED_TARGET gnutls)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(NFTABLES REQUIRED IMPORTED_TARGET libnftables)
pkg_check_modules(CAPNG REQUIRED IMPORTED_TARGET libcap-ng)
find_package(Boost 1.81 EXACT REQUIRED COMPONENTS json)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
# gRPC's own .pc file names some fifty libraries that its shared library has already found.
find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_library(GRPC_PLUS_PLUS grpc++ REQUIRED)
find_library(GRPC_CORE grpc REQUIRED)
find_library(GRPC_GPR gpr REQUIRED)
find_library(PROTOBUF_LITE protobuf-lite REQUIRED)
find_library(ABSL_SYNCHRONIZATION absl_synchronization REQUIRED)  # its headers use it
add_library(dots_grpc INTERFACE)
target_link_libraries(dots_grpc INTERFACE ${GRPC_PLUS_PLUS} ${GRPC_CORE} ${GRPC_GPR} ${PROTOBUF_LITE}
                                          ${ABSL_SYNCHRONIZATION} Threads::Threads)

if(DOTS_TESTS)
  find_package(GTest REQUIRED)
  pkg_check_modules(CBOR_ORACLE IMPORTED_TARGET libcbor)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 reports these inside its own library's headers at -O2, the last two only where those are precompiled
  add_compile_options(-Wno-restrict -Wno-error=maybe-uninitialized -Wno-error=stringop-overread -Wno-error=array-bounds)
else()
  # gcc's -Wconversion has no signs in it
  add_compile_options(-Wno-sign-conversion)
endif()
if(DOTS_SANITIZE)
  add_compile_options(-fsanitize=${DOTS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang AND DOTS_SANITIZE MATCHES undefined)
    # It cannot be assembled where coroutines are.
    add_compile_options(-fno-sanitize=function)
    add_link_options(-fno-sanitize=function)
  endif()
  add_link_options(-fsanitize=${DOTS_SANITIZE})
  if(DOTS_SANITIZE MATCHES thread)
    # TSan does not know fences; Asio's own mutexes order what they would.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
