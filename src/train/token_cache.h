// Where token files are kept, by the content they were made from.
#pragma once

#include <filesystem>
#include <string>

namespace mfa {

// The folder of `fingerprint` below `root` (empty: $XDG_CACHE_HOME/mfa or ~/.cache/mfa), made if need be. BadInput if
// it cannot be written to.
std::filesystem::path token_cache_folder(const std::filesystem::path& root, const std::string& fingerprint);

// Of a file's bytes as they are on disk, in fixed memory.
std::string file_checksum(const std::filesystem::path& path);

}  // namespace mfa
