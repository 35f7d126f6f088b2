//! Nothing but the host's dependencies. The tasks build the components, and the host embeds these, so it is compiled
//! after the tasks. Compiled beside this package, the tasks have every dependency with the features that the
//! host wants of it, and none is compiled a second time.
