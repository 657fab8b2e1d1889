/* Sets TCP_NODELAY on each connection that the program accepts. Loaded into nginx with LD_PRELOAD, whose `tcp_nodelay on` does
 * not reach the subscribers of nchan: so `make bench` compares with nchan as it is, and as it could be. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags) {
  int (*real)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
  int one = 1, connection = real(listener, address, length, flags);
  if (connection >= 0) setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return connection;
}
