// This program and its twin differ in one import. A test compares their sizes.
package main

import (
	"fmt"
	"os"

	json "encoding/json"
)

func main() {
	var v map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&v); err != nil {
		fmt.Println(err, json.Unmarshal(nil, &v))
	}
	data, err := json.MarshalIndent(v, "", "  ")
	fmt.Println(string(data), err, json.NewEncoder(os.Stdout).Encode(v), json.Valid(data))
}
