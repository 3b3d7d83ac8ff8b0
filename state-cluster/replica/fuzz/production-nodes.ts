/**
 * Chooses the nodes of each episode of the random driver.
 *
 * Invariant: every other episode runs the production writer; the others run the core alone on a disk of the driver's
 * own, with synchronous writes too, which production does not use. All nodes of an episode share one command book.
 */
import { FuzzNode, type NodeFactory } from '../../raft/fuzz/node.ts'
import { CommandBook } from './command-book.ts'
import { ProductionNode } from './production-node.ts'

export function productionNodes(episode: number): NodeFactory {
  if (episode % 2 === 1) return (id, world, config, random) => new FuzzNode(id, world, config, random)
  const book = new CommandBook()
  return (id, world, config, random) => new ProductionNode(id, world, config, random, book)
}
