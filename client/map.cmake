# SPDX-License-Identifier: Apache-2.0
# cmake -DTEMPLATE=… -DCONTRACT_FILE=… -DOUTPUT=… -P map.cmake: the map of symbols, whose version has the contract's digest.
file(SHA256 ${CONTRACT_FILE} CONTRACT)
string(SUBSTRING ${CONTRACT} 0 8 CONTRACT)
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
