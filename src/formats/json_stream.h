// JSON that is looked at while it is read, so that no document of the whole text need stay in memory.
#pragma once

#include <string_view>

#include "formats/json.h"

namespace mfa {

// parse_json (formats/json.h), asking `keep` at each event, as nlohmann does; what it answers false to is dropped.
// `keep` may throw.
Json parse_json_stream(std::string_view text, std::string_view where, const Json::parser_callback_t& keep);

}  // namespace mfa
