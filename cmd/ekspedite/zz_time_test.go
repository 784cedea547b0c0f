package main
import ("testing";"time")
func TestZZ(t *testing.T){
	newRig(t)
	file := write(t, small)
	for _, a := range [][]string{{"cluster","apply","-f",file},{"cluster","delete","-f",file,"--yes"}} {
		b:=time.Now()
		p:=run(t.Context(),"",a...)
		t.Log(time.Since(b), p)
	}
}
