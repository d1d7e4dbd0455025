/* Prints what this MPI means by the names that src/abi.rs has a table of, a line each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>

static void handle(uintptr_t bits) {
#ifdef OPEN_MPI
    Dl_info info;
    puts(dladdr((void *)bits, &info) && info.dli_sname ? info.dli_sname : "?");
#else
    printf("%#lx\n", (unsigned long)bits);
#endif
}

int main(void) {
    handle((uintptr_t)MPI_COMM_WORLD);
    handle((uintptr_t)MPI_BYTE);
    handle((uintptr_t)MPI_FLOAT);
    handle((uintptr_t)MPI_DOUBLE);
    handle((uintptr_t)MPI_SUM);
    handle((uintptr_t)MPI_ERRORS_RETURN);
    printf("%ld\n%ld\n%d\n", (long)(intptr_t)MPI_IN_PLACE, (long)(intptr_t)MPI_STATUS_IGNORE, MPI_THREAD_FUNNELED);
    return 0;
}
