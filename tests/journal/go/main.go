// The journal seen by verifiers of other authors: Go's checksum database code reads our signed
// notes, checks our proofs, and reads our tiles. Nothing here is of Surefoot.
//
// Use: verifier FOLDER, with FOLDER/vkey, FOLDER/export (C2SP tlog-tiles), FOLDER/checkpoints (one
// note a line, as JSON text), FOLDER/inclusion (a line: index and proof of an entry in the newest
// tree) and FOLDER/consistency (a line: old size, new size and proof). Prints what it verified;
// the first thing that does not verify ends it with status 1.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	lineBytes  = 1 << 20
)

// tree is what a signed checkpoint says.
type tree struct {
	size int64
	root tlog.Hash
}

// folder is an export; it reads tiles for tlog.TileHashReader.
type folder string

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "use: verifier FOLDER")
		os.Exit(2)
	}
	counts, err := verify(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, _ := json.Marshal(counts)
	fmt.Println(string(text))
}

func verify(place string) (map[string]int, error) {
	vkey, err := os.ReadFile(filepath.Join(place, "vkey"))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return nil, err
	}
	export := folder(filepath.Join(place, "export"))
	signed, err := os.ReadFile(filepath.Join(string(export), "checkpoint"))
	if err != nil {
		return nil, err
	}
	newest, err := openCheckpoint(signed, verifier)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of the export: %w", err)
	}
	roots, err := checkpoints(filepath.Join(place, "checkpoints"), verifier)
	if err != nil {
		return nil, err
	}
	if roots[newest.size] != newest.root {
		return nil, fmt.Errorf("checkpoint of the export is not among the log's own")
	}
	leaves, err := export.leaves(newest)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tlog.Tree{N: newest.size, Hash: newest.root}, export)
	if err := tiles(reader, newest, leaves); err != nil {
		return nil, err
	}
	if err := prefixes(reader, roots); err != nil {
		return nil, err
	}
	included, err := inclusion(filepath.Join(place, "inclusion"), newest, leaves)
	if err != nil {
		return nil, err
	}
	consistent, err := consistency(filepath.Join(place, "consistency"), roots)
	if err != nil {
		return nil, err
	}
	return map[string]int{
		"checkpoints": len(roots),
		"entries":     len(leaves),
		"inclusion":   included,
		"consistency": consistent,
	}, nil
}

// openCheckpoint verifies a note and reads the three lines of its text.
func openCheckpoint(signed []byte, verifier note.Verifier) (tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tree{}, err
	}
	content, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(content) != tlog.HashSize {
		return tree{}, fmt.Errorf("root of size %d is no hash", size)
	}
	found := tree{size: size}
	copy(found.root[:], content)
	return found, nil
}

func checkpoints(path string, verifier note.Verifier) (map[int64]tlog.Hash, error) {
	roots := map[int64]tlog.Hash{}
	err := eachLine(path, func(line string) error {
		var signed string
		if err := json.Unmarshal([]byte(line), &signed); err != nil {
			return err
		}
		found, err := openCheckpoint([]byte(signed), verifier)
		if err == nil {
			roots[found.size] = found.root
		}
		return err
	})
	return roots, err
}

// leaves reads every entry out of the bundles; each has its length in two bytes before it.
func (f folder) leaves(newest tree) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for number := int64(0); number*tileWidth < newest.size; number++ {
		width := newest.size - number*tileWidth
		if width > tileWidth {
			width = tileWidth
		}
		// A tile of level -1 is where the checksum database keeps its records.
		tile := tlog.Tile{H: tileHeight, L: -1, N: number, W: int(width)}
		content, err := os.ReadFile(f.path(tile))
		if err != nil {
			return nil, err
		}
		for len(content) > 0 {
			if len(content) < 2 || len(content) < 2+int(binary.BigEndian.Uint16(content)) {
				return nil, fmt.Errorf("bundle %d ends in the middle of an entry", number)
			}
			end := 2 + int(binary.BigEndian.Uint16(content))
			found = append(found, tlog.RecordHash(content[2:end]))
			content = content[end:]
		}
	}
	if int64(len(found)) != newest.size {
		return nil, fmt.Errorf("%d entries in the bundles, the checkpoint says %d", len(found), newest.size)
	}
	return found, nil
}

// tiles reads every leaf's hash through the tiles, which the reader verifies against the root.
func tiles(reader tlog.HashReader, newest tree, leaves []tlog.Hash) error {
	indexes := make([]int64, len(leaves))
	for place := range leaves {
		indexes[place] = tlog.StoredHashIndex(0, int64(place))
	}
	hashes, err := reader.ReadHashes(indexes)
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	for place := range leaves {
		if hashes[place] != leaves[place] {
			return fmt.Errorf("entry %d is not the one in the tiles", place)
		}
	}
	return nil
}

// prefixes computes the root of every signed size from the tiles.
func prefixes(reader tlog.HashReader, roots map[int64]tlog.Hash) error {
	for size, root := range roots {
		found, err := tlog.TreeHash(size, reader)
		if err != nil {
			return fmt.Errorf("size %d from the tiles: %w", size, err)
		}
		if found != root {
			return fmt.Errorf("checkpoint of size %d: the tiles have another root", size)
		}
	}
	return nil
}

func inclusion(path string, newest tree, leaves []tlog.Hash) (int, error) {
	seen := map[int64]bool{}
	err := eachProof(path, 1, func(numbers []int64, proof []tlog.Hash) error {
		index := numbers[0]
		if index < 0 || index >= newest.size {
			return fmt.Errorf("no entry %d", index)
		}
		err := tlog.CheckRecord(proof, newest.size, newest.root, index, leaves[index])
		if err != nil {
			return fmt.Errorf("inclusion of entry %d: %w", index, err)
		}
		seen[index] = true
		return nil
	})
	if err == nil && len(seen) != len(leaves) {
		err = fmt.Errorf("%d entries have an inclusion proof, of %d", len(seen), len(leaves))
	}
	return len(seen), err
}

func consistency(path string, roots map[int64]tlog.Hash) (int, error) {
	count := 0
	err := eachProof(path, 2, func(numbers []int64, proof []tlog.Hash) error {
		small, large := numbers[0], numbers[1]
		before, known := roots[small]
		after, also := roots[large]
		if !known || !also {
			return fmt.Errorf("no checkpoint of size %d or %d", small, large)
		}
		if err := tlog.CheckTree(proof, large, after, small, before); err != nil {
			return fmt.Errorf("consistency of %d with %d: %w", small, large, err)
		}
		count++
		return nil
	})
	return count, err
}

// path maps a tile of the checksum database to the file of C2SP tlog-tiles: there the height is
// always 8 and not named, and the entries are below tile/entries.
func (f folder) path(tile tlog.Tile) string {
	path := tile.Path() // tile/8/L/NNN[.p/W], or tile/8/data/NNN[.p/W]
	path = strings.Replace(path, "tile/8/data/", "tile/entries/", 1)
	path = strings.Replace(path, "tile/8/", "tile/", 1)
	return filepath.Join(string(f), filepath.FromSlash(path))
}

// Height is the height of every tile.
func (f folder) Height() int { return tileHeight }

// ReadTiles reads files.
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for place, tile := range tiles {
		content, err := os.ReadFile(f.path(tile))
		if err != nil {
			return nil, err
		}
		found[place] = content
	}
	return found, nil
}

// SaveTiles keeps nothing.
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

// eachProof reads lines of some numbers, then hashes as hex digits.
func eachProof(path string, numbers int, take func([]int64, []tlog.Hash) error) error {
	return eachLine(path, func(line string) error {
		words := strings.Fields(line)
		if len(words) < numbers {
			return fmt.Errorf("%s: a line without its numbers", path)
		}
		found := make([]int64, numbers)
		for place := range found {
			number, err := strconv.ParseInt(words[place], 10, 64)
			if err != nil {
				return err
			}
			found[place] = number
		}
		proof := make([]tlog.Hash, len(words)-numbers)
		for place, word := range words[numbers:] {
			content, err := hex.DecodeString(word)
			if err != nil || len(content) != tlog.HashSize {
				return fmt.Errorf("%s: not a hash: %s", path, word)
			}
			copy(proof[place][:], content)
		}
		return take(found, proof)
	})
}

func eachLine(path string, take func(string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, lineBytes), lineBytes)
	for lines.Scan() {
		if err := take(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}
