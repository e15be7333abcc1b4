// Any DOTS body made readable: names for keys, what each attribute is, and which message it could be.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/shapes.h"

namespace dots::wire {

struct Explanation {
  std::string json;                  // the body with named keys, indented
  std::vector<std::string> lines;    // one per attribute: indentation, key, name, type, value
  std::vector<std::string> remarks;  // what is odd about it

  // Whether it passes as this message; candidates are those whose outermost attribute is there.
  struct Verdict {
    model::Message message;
    bool valid = false;
    std::string reason;  // empty when valid
  };
  std::vector<Verdict> verdicts;
};

// Takes every well-formed CBOR map, whatever its attributes are: unknown ones are shown by number and comprehension
// class, values of a wrong type as they are. Fails, with the offset, only when the bytes are no CBOR map.
base::Result<Explanation> explain_cbor(base::ByteView bytes);

// The tree of a message as lines for people: attribute, type, presence, RFC section.
std::vector<std::string> explain_message(model::Message message);

}  // namespace dots::wire
