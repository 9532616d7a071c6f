# A room is a folder of src/ and a library target. It sees its own headers and those of the rooms it is linked to,
# and no others: each room's include path is a folder that holds one link, to that room. An include that breaks the
# order of docs/architecture.md therefore does not compile.
function(mfa_room name)
  cmake_parse_arguments(ROOM "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(mfa_${name} STATIC ${sources})
  set(view ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${view})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${name} SYMBOLIC)
  target_include_directories(mfa_${name} PUBLIC ${view})
  foreach(used ${ROOM_USES})
    target_link_libraries(mfa_${name} PUBLIC mfa_${used})
  endforeach()
  target_link_libraries(mfa_${name} PRIVATE mfa_flags)
endfunction()

# Warnings, sanitizers and floating-point rules that hold for all our code.
add_library(mfa_flags INTERFACE)
target_compile_options(mfa_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
                                           -fno-math-errno -ffp-contract=off)
# g++ 12 sees overflows inside std::string's own operator+ and insert that are not there (GCC bugs 105329, 105651).
target_compile_options(mfa_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds>)
if(MFA_SANITIZE)
  add_compile_options(-fsanitize=${MFA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MFA_SANITIZE})
endif()
