// Paths as keys of hash tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string_view>

#include "model/peer.h"

namespace dots::agent {

struct PathHash {
  std::size_t operator()(const model::Path& path) const noexcept {
    std::array<char, 39> key{};
    const auto put = [&key](std::size_t at, const model::SocketAddress& address) {
      key[at] = static_cast<char>(address.ip.family);
      std::memcpy(&key[at + 1], address.ip.bytes.data(), 16);
      std::memcpy(&key[at + 17], &address.port, 2);
    };
    put(0, path.peer);
    put(19, path.local);
    key[38] = static_cast<char>(path.transport);
    return std::hash<std::string_view>{}(std::string_view{key.data(), key.size()});
  }
};

}  // namespace dots::agent
