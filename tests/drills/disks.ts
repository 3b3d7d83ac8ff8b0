/**
 * Disks that can be broken under a process.
 *
 * One fills up (a small tmpfs), one loses power (ext4 on a loop device: what was not synced is not in the image), one
 * fails to sync (a shim in front of the C library).
 *
 * Invariant: everything mounted is unmounted in the end; where this machine does not allow one of them, it is reported
 * and the folder is an ordinary one.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const shimSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int broken(void) {
  const char *file = getenv("DRILL_SYNC_FAILS");
  return file != NULL && access(file, F_OK) == 0;
}

int fsync(int fd) {
  if (broken()) { errno = EIO; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  if (broken()) { errno = EIO; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
`

const loopBytes = 512 * 2 ** 20
const tmpfsMiB = 256
/** Less than what a store keeps free. */
const leftBytes = 2 ** 20

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

export class Disks {
  readonly folder = mkdtempSync(join(tmpdir(), 'martillo-disks-'))
  readonly leftOut: string[] = []
  /** Folders for data, each below a disk of its own; ordinary ones where that was not allowed. */
  readonly filling = this.#folderOf('filling')
  readonly cuttable = this.#folderOf('cuttable')
  readonly canFill: boolean
  readonly canCut: boolean
  readonly canFailSync: boolean
  readonly #shim = join(this.folder, 'shim.so')
  readonly #isFailing = join(this.folder, 'sync-fails')
  #image = 0

  constructor() {
    this.canFill = run('mount', '-t', 'tmpfs', '-o', `size=${tmpfsMiB}m`, 'martillo-drill', this.filling)
    if (!this.canFill) this.leftOut.push('full disk: a tmpfs may not be mounted here')
    this.canCut = this.#makeImage() && this.#mountImage()
    if (!this.canCut) this.leftOut.push('power cut: a loop device may not be mounted here')
    const source = join(this.folder, 'shim.c')
    writeFileSync(source, shimSource)
    this.canFailSync = run('gcc', '-shared', '-fPIC', '-o', this.#shim, source, '-ldl')
    if (!this.canFailSync) this.leftOut.push('failing sync: there is no gcc here')
  }

  #folderOf(name: string): string {
    const folder = join(this.folder, name)
    mkdirSync(folder)
    return folder
  }

  /** For the process whose syncs are to fail. */
  get shimEnv(): NodeJS.ProcessEnv {
    return this.canFailSync ? { LD_PRELOAD: this.#shim, DRILL_SYNC_FAILS: this.#isFailing } : {}
  }

  failSyncs(): void {
    writeFileSync(this.#isFailing, '')
  }

  healSyncs(): void {
    rmSync(this.#isFailing, { force: true })
  }

  fill(): void {
    const { bavail, bsize } = statfsSync(this.filling)
    writeFileSync(join(this.filling, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - leftBytes)))
  }

  empty(): void {
    rmSync(join(this.filling, 'ballast'), { force: true })
  }

  /**
   * Takes what is on the device now, as a power cut leaves it; the process that writes must be stopped. `restore`
   * puts that in the place of the disk, when the process is gone.
   */
  cut(): { restore(): void } {
    const taken = this.#imageFile(this.#image + 1)
    copyFileSync(this.#imageFile(this.#image), taken)
    return {
      restore: () => {
        if (!run('umount', '-l', this.cuttable)) throw new Error(`cannot unmount ${this.cuttable}`)
        rmSync(this.#imageFile(this.#image))
        this.#image += 1
        if (!this.#mountImage()) throw new Error('what the power cut left cannot be mounted')
      },
    }
  }

  close(): void {
    if (this.canFill) run('umount', '-l', this.filling)
    if (this.canCut) run('umount', '-l', this.cuttable)
    rmSync(this.folder, { recursive: true, force: true })
  }

  #imageFile(number: number): string {
    return join(this.folder, `disk-${number}.img`)
  }

  #makeImage(): boolean {
    const file = this.#imageFile(0)
    writeFileSync(file, '')
    truncateSync(file, loopBytes)
    return existsSync(file) && run('mkfs.ext4', '-q', '-F', file)
  }

  #mountImage(): boolean {
    return run('mount', '-o', 'loop', this.#imageFile(this.#image), this.cuttable)
  }
}
