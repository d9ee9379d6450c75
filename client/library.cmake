# SPDX-License-Identifier: Apache-2.0
# libgatehouse.so.0, for other programs: the same objects, but only the symbols of libgatehouse.map are seen. The command
# and the daemon hold theirs in themselves, so that neither depends on a library's version.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(map ${CMAKE_CURRENT_BINARY_DIR}/libgatehouse.map)
add_custom_command(
  OUTPUT ${map}
  COMMAND ${CMAKE_COMMAND} -DTEMPLATE=${CMAKE_CURRENT_SOURCE_DIR}/libgatehouse.map.in -DOUTPUT=${map}
          -DCONTRACT_FILE=${PROJECT_BINARY_DIR}/proto/gatehouse.protoset -P ${CMAKE_CURRENT_SOURCE_DIR}/map.cmake
  DEPENDS libgatehouse.map.in map.cmake protosets VERBATIM)
add_library(gatehouse_shared SHARED $<TARGET_OBJECTS:gatehouse_client> ${map})
set_target_properties(gatehouse_shared PROPERTIES OUTPUT_NAME gatehouse EXPORT_NAME gatehouse VERSION ${PROJECT_VERSION}
  SOVERSION 0 LINK_DEPENDS ${map})
# The archives by themselves: what else is in services/ is none of the library's.
add_dependencies(gatehouse_shared contract protosets rules)
target_link_libraries(gatehouse_shared PRIVATE flags $<TARGET_FILE:contract> $<TARGET_FILE:protosets> $<TARGET_FILE:rules> $<TARGET_FILE:base> proto ${GRPC_LIBRARY} ${GPR_LIBRARY}
  INTERFACE $<BUILD_INTERFACE:PkgConfig::PROTOBUFC> $<INSTALL_INTERFACE:gatehouse::protobuf-c>)
target_link_options(gatehouse_shared PRIVATE LINKER:--version-script=${map}
  LINKER:--undefined=grpc__health__v1__health__descriptor) # not used by the library itself
target_include_directories(gatehouse_shared INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/proto>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/gatehouse>)

install(TARGETS gatehouse_shared EXPORT gatehouse LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT libgatehouse0 NAMELINK_COMPONENT libgatehouse-dev)
set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gatehouse)
install(EXPORT gatehouse FILE gatehouseTargets.cmake NAMESPACE gatehouse:: DESTINATION ${cmake_dir}
  COMPONENT libgatehouse-dev)
set(PROTO_INSTALL_DIR ${CMAKE_INSTALL_DATADIR}/gatehouse/proto)
configure_package_config_file(gatehouseConfig.cmake.in gatehouseConfig.cmake INSTALL_DESTINATION ${cmake_dir}
  PATH_VARS PROTO_INSTALL_DIR)
# Until 1.0 a minor version may break what the one before promised.
write_basic_package_version_file(gatehouseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(gatehouse.pc.in gatehouse.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gatehouse.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT libgatehouse-dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gatehouseConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/gatehouseConfigVersion.cmake DESTINATION ${cmake_dir} COMPONENT libgatehouse-dev)

# Headers with their contracts, and the .proto files for other languages.
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/gatehouse)
install(FILES gatehouse.h DESTINATION ${headers} COMPONENT libgatehouse-dev)
foreach(file gatehouse/v1/auth gatehouse/v1/credential_admin gatehouse/v1/options google/api/annotations google/api/field_behavior
             google/api/http google/protobuf/descriptor google/protobuf/duration google/protobuf/field_mask
             google/protobuf/timestamp grpc/health/v1/health)
  get_filename_component(folder ${file} DIRECTORY)
  install(FILES ${PROJECT_BINARY_DIR}/proto/${file}.pb-c.h DESTINATION ${headers}/${folder} COMPONENT libgatehouse-dev)
endforeach()
foreach(folder gatehouse google/api google/rpc grpc/health)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/${folder}/ DESTINATION ${PROTO_INSTALL_DIR}/${folder}
    COMPONENT libgatehouse-dev FILES_MATCHING PATTERN *.proto)
endforeach()
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libgatehouse-dev/examples COMPONENT libgatehouse-dev)
