; Twin of injection-40: role 2 and 3's component takes the product once instead of twice.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
; the bit is b1 xor b2 xor b3; role 1 knows m = b1 xor b2, roles 2 and 3 know n = b3
(declare-fun b1 () (_ BitVec 1))
(declare-fun b2 () (_ BitVec 1))
(declare-fun b3 () (_ BitVec 1))
(declare-fun s1 () (_ BitVec 40))
(declare-fun v1 () (_ BitVec 40))
(declare-fun v2 () (_ BitVec 40))
(define-fun m () (_ BitVec 40) ((_ zero_extend 39) (bvxor b1 b2)))
(define-fun n () (_ BitVec 40) ((_ zero_extend 39) b3))
; round 1: role 1 to role 2; s1 is a stream of roles 1 and 3
(define-fun s2 () (_ BitVec 40) (bvsub m s1))
; round 2: role 2 to role 3 and role 3 to role 2; v1 and v2 are streams with role 1
(define-fun sent32 () (_ BitVec 40) (bvsub (bvand s1 (bvneg n)) v1))
(define-fun sent23 () (_ BitVec 40) (bvsub (bvand s2 (bvneg n)) v2))
(define-fun v3 () (_ BitVec 40) (bvadd sent32 sent23))
; m + n - 2mn
(define-fun result1 () (_ BitVec 40) (bvsub s1 (bvadd v1 v1)))
(define-fun result2 () (_ BitVec 40) (bvsub s2 (bvadd v2 v2)))
(define-fun result3 () (_ BitVec 40) (bvsub n v3))
(assert (distinct (bvadd result1 result2 result3) ((_ zero_extend 39) (bvxor b1 b2 b3))))
(check-sat)
