// As much of the DTLS 1.2 record syntax as the peer tables need to sort datagrams (RFC 6347 4.1, 4.2.2). Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace dots::agent {

inline constexpr std::size_t kRecordHeaderBytes = 13;
inline constexpr std::uint8_t kChangeCipherSpec = 20;
inline constexpr std::uint8_t kAlert = 21;
inline constexpr std::uint8_t kHandshake = 22;
inline constexpr std::uint8_t kApplicationData = 23;

struct RecordHeader {
  std::uint8_t type = 0;
  std::uint16_t epoch = 0;
  std::uint16_t length = 0;
};

// The header of the first record; nothing when the bytes are no DTLS record.
std::optional<RecordHeader> first_record(base::ByteView datagram);

// True when any record of the datagram is of a later epoch than 0. A peer that repeats its last flight may put the
// protected Finished behind unprotected records.
bool carries_protected_record(base::ByteView datagram);

// The random of a ClientHello that starts in this datagram at fragment offset 0: the same in all repeats of one
// handshake, different in the next handshake.
std::optional<base::ByteView> client_random(base::ByteView datagram);

}  // namespace dots::agent
