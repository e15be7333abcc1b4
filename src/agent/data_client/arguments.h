// The arguments of the operations of the data channel, from JSON (docs/api.md): strict, with errors that name the
// member.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/client/keeper.h"

namespace dots::agent::data_client {

struct DataArguments {
  std::string server;
  bool kept = false;  // of this client's own store, without a word to the server
  data::client::Wish wish;
};

// REQUIRES: DataAgent::serves(operation).
base::Result<DataArguments> parse_arguments(std::string_view operation, const boost::json::object& arguments);

}  // namespace dots::agent::data_client
