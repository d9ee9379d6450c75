# SPDX-License-Identifier: Apache-2.0
# Read by CTest before it runs anything: what a developer's shell says of a Gatehouse of their own (its address, a token, a
# store) is not for the tests, which must never touch another installation. What a test needs, its properties say.
execute_process(COMMAND env OUTPUT_VARIABLE lines)
string(REGEX MATCHALL "(^|\n)GATEHOUSED?_[A-Za-z0-9_]*=" matches "${lines}")
foreach(match IN LISTS matches)
  string(REGEX REPLACE "[\n=]" "" name "${match}")
  unset(ENV{${name}})
endforeach()
