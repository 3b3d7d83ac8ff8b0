/**
 * Disks that can be made to stand still under a process.
 *
 * A shim in front of the C library: while a file of the station's name is there, its syncs do not return.
 *
 * Invariant: a stalled sync goes on within 20 ms of the end of the stall, and nothing is left behind.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { removeFolder, temporaryFolder } from '../processes.ts'

const compiler = 'gcc'

const shimSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void stall(void) {
  const char *file = getenv("DRILL_SYNC_STALLS");
  while (file != NULL && access(file, F_OK) == 0) usleep(10000);
}

int fsync(int fd) {
  stall();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  stall();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
`

export class SlowDisks {
  readonly canStall: boolean
  readonly #folder = temporaryFolder()
  readonly #shim = join(this.#folder, 'shim.so')

  constructor() {
    const source = join(this.#folder, 'shim.c')
    writeFileSync(source, shimSource)
    const made = spawnSync(compiler, ['-shared', '-fPIC', '-o', this.#shim, source, '-ldl'], {
      stdio: 'ignore',
    })
    this.canStall = made.status === 0
  }

  /** For the process of a station. */
  envOf(name: string): NodeJS.ProcessEnv {
    return this.canStall ? { LD_PRELOAD: this.#shim, DRILL_SYNC_STALLS: this.#fileOf(name) } : {}
  }

  stall(name: string): void {
    writeFileSync(this.#fileOf(name), '')
  }

  heal(name: string): void {
    rmSync(this.#fileOf(name), { force: true })
  }

  close(): void {
    removeFolder(this.#folder)
  }

  #fileOf(name: string): string {
    return join(this.#folder, `stalls-${name}`)
  }
}
