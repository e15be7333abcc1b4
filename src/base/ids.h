// Strong identifiers: a cuid cannot be passed where a domain is asked for.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace dots::base {

template <class Tag, class T>
struct StrongId {
  T value{};

  StrongId() = default;
  explicit StrongId(T v) : value(std::move(v)) {}

  friend auto operator<=>(const StrongId&, const StrongId&) = default;
  friend bool operator==(const StrongId&, const StrongId&) = default;
};

// The client domain: the unit of state, of ownership and of conflicts (RFC 8612 section 1.2). Named in the
// configuration.
using DomainId = StrongId<struct DomainIdTag, std::string>;
// A configured client identity of a domain; holds one or several credentials and owns its cuids.
using ClientId = StrongId<struct ClientIdTag, std::string>;
// Client unique identifier (RFC 9132 4.4.1.1), chosen by the client.
using Cuid = StrongId<struct CuidTag, std::string>;
// Mitigation identifier (RFC 9132 4.4.1.1).
using Mid = StrongId<struct MidTag, std::uint32_t>;
// Session configuration identifier (RFC 9132 4.5.2).
using Sid = StrongId<struct SidTag, std::uint32_t>;
// One (D)TLS association; unique in the life of the process. The upper 16 bits name the shard that owns it.
using SessionId = StrongId<struct SessionIdTag, std::uint64_t>;
// One request that waits for its answer inside a session.
using ExchangeId = StrongId<struct ExchangeIdTag, std::uint64_t>;
// One committed batch of changes; grows by one with each batch of a store (see ports/store.h). 0 = nothing to wait for.
using ChangeNumber = StrongId<struct ChangeNumberTag, std::uint64_t>;

}  // namespace dots::base

template <class Tag, class T>
struct std::hash<dots::base::StrongId<Tag, T>> {
  std::size_t operator()(const dots::base::StrongId<Tag, T>& id) const noexcept { return std::hash<T>{}(id.value); }
};
