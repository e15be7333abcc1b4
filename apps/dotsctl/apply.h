// What dotsctl does with entries of the data channel: the difference first, then step by step.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "data/client/entry.h"
#include "data/client/plan.h"
#include "dotsctl/commands.h"

namespace dots::dotsctl {

struct Wanted {
  std::vector<data::client::Entry> entries;
  std::set<data::client::Kind> kinds;  // that the files speak of
};
// A file, a folder of *.json files in the order of their names, or '-'. An error names the file.
base::Result<Wanted> read_wanted(const std::string& path, std::istream& in);
base::Result<std::string> read_text(const std::string& path, std::istream& in);

// Shows the difference and, unless it is a dry run, carries it out.
int apply(const Wanted& wanted, const Options& options, Streams streams);

// One step; kOk, or what went wrong, told.
ApiReply carry_out(const data::client::PlanStep& step, const std::string& etag, const std::string& server,
                   const std::string& socket);

}  // namespace dots::dotsctl
